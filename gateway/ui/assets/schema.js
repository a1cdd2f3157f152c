// Starts the page at /schema. A file of its own: the page's policy allows no inline script.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/schema/openapi.json",
    dom_id: "#schema",
    deepLinking: true,
    validatorUrl: null,
  });
});

// Starts the page at /schema. A file of its own: the page's policy allows no inline script.
// The document's address follows this file's own: a proxy may have put a prefix before both.
const page = new URL("../openapi.json", document.currentScript.src).href;
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: page,
    dom_id: "#schema",
    deepLinking: true,
    validatorUrl: null,
  });
});

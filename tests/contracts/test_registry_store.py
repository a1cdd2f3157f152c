"""What every registry store does: over SQLite, over PostgreSQL, and over HTTP."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec import structs

from registry.http_store import HttpRegistryStore
from registry.sql_store import SqlRegistryStore
from registry.store import RegistryStore
from registry.wire import (
    AliasEntry,
    CreateModel,
    CreateVersion,
    DeleteVersionTag,
    RegisteredModel,
    SearchRequest,
    SetAlias,
    SetModelTag,
    SetVersionTag,
    TransitionStage,
    UpdateModel,
    UpdateVersion,
)
from tracking.clock import now_ms
from tracking.database import open_database
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing
from tracking.http import HttpApi
from tracking.wire import Tag

SOURCE = "s3://bucket/model"


@pytest.fixture(params=["sqlite", "postgresql", "http"])
def store(request: pytest.FixtureRequest) -> Iterator[RegistryStore]:
    kind = request.param
    uri = request.getfixturevalue("postgres_uri" if kind == "postgresql" else "sqlite_uri")
    database = open_database(uri)
    local = SqlRegistryStore(database, seal=lambda _model, _version: None, actor="ann")
    if kind != "http":
        yield local
    else:
        server = request.getfixturevalue("tracking_server")
        server.registry = local
        api = HttpApi(server.address, retry_for_s=0)
        yield HttpRegistryStore(api)
        api.close()
    database.close()


def register(store: RegistryStore, name: str = "IrisRF", versions: int = 1) -> None:
    store.create_model(CreateModel(name=name))
    for _ in range(versions):
        store.create_version(CreateVersion(name=name, source=SOURCE))


def move(store: RegistryStore, version: int, stage: str, *, archive: bool = False) -> None:
    store.transition_stage(
        TransitionStage(
            name="IrisRF", version=str(version), stage=stage, archive_existing_versions=archive
        )
    )


def stages(store: RegistryStore) -> dict[str, str | None]:
    page = store.search_versions(SearchRequest(filter="name = 'IrisRF'"))
    return {version.version: version.current_stage for version in page.model_versions}


@pytest.mark.parametrize("name", ["IrisRF", "iris 50 %@home", "鳶尾花", "a.b-c_d"])
def test_a_created_model_is_found_by_its_name(store: RegistryStore, name: str) -> None:
    request = CreateModel(name=name, description="", tags=[Tag(key="team", value="a")])

    made = store.create_model(request)

    assert made == store.model(name)
    assert (made.name, made.tags, made.latest_versions) == (name, [Tag(key="team", value="a")], [])


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a\x00b", "a\nb", "x" * 257])
def test_a_name_that_may_not_be_is_refused(store: RegistryStore, name: str) -> None:
    with pytest.raises(InvalidRequest):
        store.create_model(CreateModel(name=name))


def test_a_taken_name_is_refused(store: RegistryStore) -> None:
    register(store)

    with pytest.raises(ResourceExists, match=r"Registered Model \(name=IrisRF\) already exists"):
        store.create_model(CreateModel(name="IrisRF"))


def test_a_missing_model_is_named_and_says_how_to_make_it(store: RegistryStore) -> None:
    with pytest.raises(ResourceMissing, match="Registered Model with name=x not found"):
        store.model("x")
    with pytest.raises(ResourceMissing, match="Registered Model with name=x not found"):
        store.create_version(CreateVersion(name="x", source=SOURCE))


def test_versions_count_up_and_are_ready_at_once(store: RegistryStore) -> None:
    register(store)

    made = store.create_version(CreateVersion(name="IrisRF", source=SOURCE, description="d"))

    assert (made.version, made.status, made.current_stage) == ("2", "READY", "None")
    assert (made.source, made.description) == (SOURCE, "d")
    assert made == store.version("IrisRF", "2")


def test_the_number_of_a_deleted_version_is_not_used_again(store: RegistryStore) -> None:
    register(store, versions=2)
    store.delete_version("IrisRF", "2")

    made = store.create_version(CreateVersion(name="IrisRF", source=SOURCE))

    assert made.version == "3"
    with pytest.raises(ResourceMissing, match=r"\(name=IrisRF, version=2\) not found"):
        store.version("IrisRF", "2")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/etc/passwd",
        "file:///etc",
        "model",
        "mlflow-artifacts:/../x",
        "s3://b/%2e%2e/x",
        "runs:/r/../x",
    ],
)
def test_a_source_that_is_no_reference_is_refused(store: RegistryStore, source: str) -> None:
    register(store)

    with pytest.raises(InvalidRequest):
        store.create_version(CreateVersion(name="IrisRF", source=source))


def test_a_remote_source_is_recorded_as_sent(store: RegistryStore) -> None:
    register(store)

    made = store.create_version(CreateVersion(name="IrisRF", source="s3://bucket/model"))

    assert made.source == store.download_uri("IrisRF", made.version) == "s3://bucket/model"


def test_latest_versions_are_the_newest_of_each_stage(store: RegistryStore) -> None:
    register(store, versions=4)
    move(store, 1, "Archived")
    move(store, 2, "Archived")

    every = store.latest_versions("IrisRF", [])
    archived = store.latest_versions("IrisRF", ["archived"])

    assert [(v.version, v.current_stage) for v in every] == [("2", "Archived"), ("4", "None")]
    assert [v.version for v in archived] == ["2"]
    with pytest.raises(InvalidRequest, match="stage"):
        store.latest_versions("IrisRF", ["nowhere"])


def test_one_version_is_in_production_at_a_time(store: RegistryStore) -> None:
    register(store, versions=2)

    move(store, 1, "production")
    move(store, 2, "Production")

    assert stages(store) == {"1": "Archived", "2": "Production"}


def test_several_versions_may_be_in_staging_unless_archived(store: RegistryStore) -> None:
    register(store, versions=3)
    move(store, 1, "Staging")
    move(store, 2, "Staging")
    both = stages(store)

    move(store, 3, "Staging", archive=True)

    assert both == {"1": "Staging", "2": "Staging", "3": "None"}
    assert stages(store) == {"1": "Archived", "2": "Archived", "3": "Staging"}


def test_racing_transitions_leave_one_in_production(store: RegistryStore) -> None:
    register(store, versions=8)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda version: move(store, version, "Production"), range(1, 9)))

    assert sorted(map(str, stages(store).values())) == ["Archived"] * 7 + ["Production"]


def test_an_alias_moves_and_goes_with_its_version(store: RegistryStore) -> None:
    register(store, versions=2)
    store.set_alias(SetAlias(name="IrisRF", alias="champion", version="1"))
    store.set_alias(SetAlias(name="IrisRF", alias="champion", version="2"))
    moved = store.version_by_alias("IrisRF", "champion")

    store.delete_version("IrisRF", "2")

    assert (moved.version, moved.aliases) == ("2", ["champion"])
    assert store.model("IrisRF").aliases == []
    with pytest.raises(InvalidRequest, match="Registered model alias champion not found"):
        store.version_by_alias("IrisRF", "champion")


@pytest.mark.parametrize("alias", ["latest", "LATEST"])
def test_the_alias_latest_is_the_highest_number_there_is(store: RegistryStore, alias: str) -> None:
    store.create_model(CreateModel(name="IrisRF"))
    with pytest.raises(ResourceMissing, match="Latest version not found"):
        store.version_by_alias("IrisRF", alias)
    for _ in range(11):
        store.create_version(CreateVersion(name="IrisRF", source=SOURCE))
    move(store, 10, "Staging")

    assert store.version_by_alias("IrisRF", alias).version == "11"


@pytest.mark.parametrize("alias", ["latest", "v7", "a b", "", "x" * 256])
def test_an_alias_that_may_not_be_is_refused(store: RegistryStore, alias: str) -> None:
    register(store)

    with pytest.raises(InvalidRequest):
        store.set_alias(SetAlias(name="IrisRF", alias=alias, version="1"))


def test_descriptions_and_tags_are_set_changed_and_removed(store: RegistryStore) -> None:
    register(store)
    store.update_model(UpdateModel(name="IrisRF", description="forest"))
    store.update_version(UpdateVersion(name="IrisRF", version="1", description="ten trees"))
    store.set_model_tag(SetModelTag(name="IrisRF", key="team", value="a"))
    store.set_version_tag(SetVersionTag(name="IrisRF", version="1", key="ok", value="no"))

    store.set_version_tag(SetVersionTag(name="IrisRF", version="1", key="ok", value="yes"))
    store.delete_model_tag("IrisRF", "team")

    model, version = store.model("IrisRF"), store.version("IrisRF", "1")
    assert (model.description, model.tags) == ("forest", [])
    assert (version.description, version.tags) == ("ten trees", [Tag(key="ok", value="yes")])
    store.delete_version_tag(DeleteVersionTag(name="IrisRF", version="1", key="ok"))
    assert store.version("IrisRF", "1").tags == []


def test_tags_by_the_thousand_are_kept_and_the_last_of_a_key_counts(store: RegistryStore) -> None:
    tags = [Tag(key=f"k{number:05}", value="v" * (number % 3)) for number in range(20_000)]
    twice = [Tag(key="k00007", value="before"), *tags]

    model = store.create_model(CreateModel(name="IrisRF", tags=twice))
    version = store.create_version(CreateVersion(name="IrisRF", source="s3://b/m", tags=twice))

    assert sorted(model.tags, key=lambda tag: tag.key) == tags
    assert sorted(version.tags, key=lambda tag: tag.key) == tags


def test_texts_that_not_every_database_keeps_are_refused(store: RegistryStore) -> None:
    register(store)
    source, text = "s3://b/m", "a\x00b"

    for ask in (
        lambda: store.create_model(CreateModel(name="a", tags=[Tag(key="a", value=text)])),
        lambda: store.create_model(CreateModel(name="a", description=text)),
        lambda: store.update_model(UpdateModel(name="IrisRF", description=text)),
        lambda: store.create_version(CreateVersion(name="IrisRF", source=source, run_link=text)),
        lambda: store.create_version(CreateVersion(name="IrisRF", source=source, run_id=text)),
        lambda: store.update_version(UpdateVersion(name="IrisRF", version="1", description=text)),
    ):
        with pytest.raises(InvalidRequest, match="NUL"):
            ask()


def test_renaming_takes_everything_along(store: RegistryStore) -> None:
    register(store, versions=2)
    move(store, 2, "Production")
    store.set_alias(SetAlias(name="IrisRF", alias="champion", version="2"))

    renamed = store.rename_model("IrisRF", "IrisForest")

    assert renamed.aliases == [AliasEntry(alias="champion", version="2")]
    assert [(v.name, v.version) for v in renamed.latest_versions] == [
        ("IrisForest", "1"),
        ("IrisForest", "2"),
    ]
    with pytest.raises(ResourceMissing):
        store.model("IrisRF")


def test_a_rename_to_its_own_name_changes_only_when_it_was_changed(store: RegistryStore) -> None:
    register(store)
    move(store, 1, "Production")
    before = store.model("IrisRF")

    after = store.rename_model("IrisRF", "IrisRF")

    assert unset_times(after) == unset_times(before)


def unset_times(model: RegisteredModel) -> RegisteredModel:
    versions = [structs.replace(v, last_updated_timestamp=None) for v in model.latest_versions]
    return structs.replace(model, last_updated_timestamp=None, latest_versions=versions)


def times(store: RegistryStore) -> dict[str, int]:
    """Return when the model, and its first version, were changed last."""
    model = store.model("IrisRF")
    told = {
        "model": model.last_updated_timestamp,
        "1": model.latest_versions[0].last_updated_timestamp,
    }
    return {name: at or 0 for name, at in told.items()}


CHANGES: dict[str, tuple[Callable[[RegistryStore], object], set[str]]] = {
    "rename": (
        lambda s: (s.rename_model("IrisRF", "x"), s.rename_model("x", "IrisRF")),
        {"model", "1"},
    ),
    "describe": (lambda s: s.update_model(UpdateModel(name="IrisRF", description="d")), {"model"}),
    "describe version": (
        lambda s: s.update_version(UpdateVersion(name="IrisRF", version="1", description="d")),
        {"1"},
    ),
    "delete version": (lambda s: s.delete_version("IrisRF", "2"), {"model"}),
    "stage": (lambda s: move(s, 1, "None"), {"model", "1"}),
    "tag": (lambda s: s.set_model_tag(SetModelTag(name="IrisRF", key="a", value="b")), set()),
    "untag": (lambda s: s.delete_model_tag("IrisRF", "a"), set()),
    "alias": (lambda s: s.set_alias(SetAlias(name="IrisRF", alias="a", version="1")), set()),
    "unalias": (lambda s: s.delete_alias("IrisRF", "a"), set()),
    "tag version": (
        lambda s: s.set_version_tag(SetVersionTag(name="IrisRF", version="1", key="a", value="b")),
        set(),
    ),
}
"""Changes, and of what the time of the last change moves with them, as it does in MLflow."""


def test_a_change_moves_the_times_that_mlflow_moves(store: RegistryStore) -> None:
    register(store, versions=2)
    move(store, 2, "Staging")

    moved = {how: times_moved_by(store, change) for how, (change, _) in CHANGES.items()}

    assert moved == {how: expected for how, (_, expected) in CHANGES.items()}


def times_moved_by(store: RegistryStore, change: Callable[[RegistryStore], object]) -> set[str]:
    before = times(store)
    deadline = time.monotonic() + 10
    while now_ms() <= max(before.values()):
        assert time.monotonic() < deadline
    change(store)
    return {name for name, at in times(store).items() if at > before[name]}


def test_a_model_and_a_prompt_never_share_a_name(store: RegistryStore) -> None:
    prompt = [Tag(key="mlflow.prompt.is_prompt", value="true")]
    store.create_model(CreateModel(name="p", tags=prompt))
    store.create_model(CreateModel(name="m"))

    with pytest.raises(ResourceExists, match="already taken by a prompt"):
        store.create_model(CreateModel(name="p"))
    with pytest.raises(ResourceExists, match="already taken by a registered model"):
        store.create_model(CreateModel(name="m", tags=prompt))
    with pytest.raises(ResourceExists, match=r"Prompt \(name=p\) already exists"):
        store.create_model(CreateModel(name="p", tags=prompt))


def test_a_deleted_model_is_gone_and_its_name_free(store: RegistryStore) -> None:
    register(store)
    store.delete_model("IrisRF")

    register(store)

    assert [v.version for v in store.model("IrisRF").latest_versions] == ["1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ["a", "b", "c"]),
        ("name = 'a'", ["a"]),
        ("name LIKE 'B%'", []),
        ("name ILIKE 'B%'", ["b"]),
        ("tags.team = 'x'", ["b"]),
        ("tags.team != 'y' AND name != 'a'", ["b"]),
        ("tag.`mlflow.prompt.is_prompt` != 'true'", ["a", "b", "c"]),
    ],
)
def test_models_are_found_by_a_filter(
    store: RegistryStore, text: str | None, found: list[str]
) -> None:
    for name in "abc":
        store.create_model(CreateModel(name=name))
    store.set_model_tag(SetModelTag(name="b", key="team", value="x"))

    page = store.search_models(SearchRequest(filter=text))

    assert [model.name for model in page.registered_models] == found


IS_PROMPT = "tags.`mlflow.prompt.is_prompt`"


def test_prompts_are_found_by_who_asks_for_them(store: RegistryStore) -> None:
    """As MLflow has it: any other clause of that tag, or none, leaves them out."""
    prompt = [Tag(key="mlflow.prompt.is_prompt", value="true")]
    register(store, "m")
    store.create_model(CreateModel(name="p", tags=prompt))
    store.create_version(CreateVersion(name="p", source="dummy-source", tags=prompt))
    asked = [
        *(None, "name != 'x'", "name = 'p'", f"{IS_PROMPT} = 'true'", f"{IS_PROMPT} != 'FALSE'"),
        *(f"{IS_PROMPT} = 'false'", f"{IS_PROMPT} != 'true'", f"{IS_PROMPT} LIKE 'tr%'"),
        f"{IS_PROMPT} = 'true' AND name = 'm'",
    ]

    models = [found_models(store, text) for text in asked]
    versions = [found_versions(store, text) for text in asked]

    assert models == [["m"], ["m"], [], ["p"], ["p"], ["m"], ["m"], ["m"], []]
    assert versions == models


def found_models(store: RegistryStore, text: str | None) -> list[str]:
    page = store.search_models(SearchRequest(filter=text))
    return [model.name for model in page.registered_models]


def found_versions(store: RegistryStore, text: str | None) -> list[str]:
    page = store.search_versions(SearchRequest(filter=text))
    return [version.name for version in page.model_versions]


@pytest.mark.parametrize(
    "request_",
    [
        SearchRequest(filter="name ~ 'a'"),
        SearchRequest(filter="creator = 'a'"),
        SearchRequest(order_by=["creator"]),
        SearchRequest(max_results=0),
        SearchRequest(max_results=1001),
        SearchRequest(page_token="AAAA"),
    ],
)
def test_a_search_that_cannot_be_is_refused(store: RegistryStore, request_: SearchRequest) -> None:
    with pytest.raises(InvalidRequest):
        store.search_models(request_)


def test_pages_follow_each_other_and_end(store: RegistryStore) -> None:
    register(store, versions=5)
    seen: list[str] = []
    token: str | None = None

    while True:
        asked = SearchRequest(max_results=2, order_by=["version_number ASC"], page_token=token)
        page = store.search_versions(asked)
        seen += [version.version for version in page.model_versions]
        token = page.next_page_token
        if token is None:
            break

    assert seen == ["1", "2", "3", "4", "5"]

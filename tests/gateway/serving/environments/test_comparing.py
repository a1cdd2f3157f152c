import pytest

from gateway.serving.environments.comparing import differences
from gateway.serving.environments.declared import Declared

INSTALLED = {"numpy": "2.1.0", "beta": "1.0b2"}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (Declared(), ()),
        (Declared("3.11", ("numpy==2.1.0", "numpy>=2", "numpy", "beta>=1.0a1")), ()),
        (Declared("3.12"), ("Python is 3.11 here, it needs 3.12",)),
        (Declared(None, ("numpy==1.26.4",)), ("numpy is 2.1.0 here, it needs numpy==1.26.4",)),
        (Declared(None, ("numpy[x]<2",)), ("numpy is 2.1.0 here, it needs numpy[x]<2",)),
        (Declared(None, ("scipy",)), ("scipy is not installed here, it needs scipy",)),
        (Declared(None, ('scipy; sys_platform == "win32"',)), ()),
        (Declared(None, (), ("scipy==1", "numpy>1")), ()),
        (Declared(None, (), ("numpy<1",)), ("numpy is 2.1.0 here, its constraints say numpy<1",)),
    ],
)
def test_each_difference_is_named(declared: Declared, expected: tuple[str, ...]) -> None:
    assert differences(declared, "3.11", INSTALLED.get) == expected

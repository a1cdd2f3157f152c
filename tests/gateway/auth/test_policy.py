import pytest

from gateway.auth.policy import LOCAL, Permission, Principal, allows

READER = Principal("reader", frozenset({Permission.READ}))
ADMIN = Principal("admin", frozenset({Permission.ADMIN}))


@pytest.mark.parametrize("principal", [None, READER, ADMIN, LOCAL])
def test_everybody_may_use_what_is_open(principal: Principal | None) -> None:
    assert allows(principal, Permission.OPEN)


@pytest.mark.parametrize("permission", set(Permission) - {Permission.OPEN})
def test_nobody_may_use_anything_else(permission: Permission) -> None:
    assert not allows(None, permission)


@pytest.mark.parametrize("permission", set(Permission) - {Permission.OPEN})
def test_a_principal_may_do_what_it_holds_and_no_more(permission: Permission) -> None:
    assert allows(READER, permission) is (permission is Permission.READ)


@pytest.mark.parametrize("permission", list(Permission))
def test_an_admin_and_a_local_caller_may_do_everything(permission: Permission) -> None:
    assert allows(ADMIN, permission)
    assert allows(LOCAL, permission)

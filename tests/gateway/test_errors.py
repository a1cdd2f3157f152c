import logging

import pytest

from gateway.errors import STATUS_BY_CODE, Refusal, render, status_of
from tracking.errors import (
    InvalidRequest,
    MethodRefused,
    ModelNotReady,
    StagedoorError,
    Unauthenticated,
    error_classes,
)


def test_every_code_has_a_status_and_every_status_a_code() -> None:
    assert set(STATUS_BY_CODE) == set(error_classes())


def test_an_error_of_ours_is_told_as_it_is() -> None:
    refusal = render(InvalidRequest("Say a number."), "r-1")

    assert refusal == Refusal(400, "INVALID_PARAMETER_VALUE", "Say a number.", "r-1")
    expected = b'{"error_code":"INVALID_PARAMETER_VALUE","message":"Say a number."}'
    assert refusal.body() == expected


@pytest.mark.parametrize("error", [KeyError("SELECT secret"), StagedoorError("SELECT secret")])
def test_anything_else_is_told_by_request_id_alone_and_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="stagedoor.errors"):
        refusal = render(error, "r-2")

    assert (refusal.status, refusal.code) == (500, "INTERNAL_ERROR")
    assert "secret" not in refusal.message
    assert "r-2" in refusal.message
    assert "SELECT secret" in caplog.text


def test_a_caller_who_may_try_again_is_told_when() -> None:
    assert (b"retry-after", b"1") in render(ModelNotReady("Loading."), "").headers()


def test_a_caller_without_credential_is_told_how_to_prove_himself() -> None:
    names = [name for name, _ in render(Unauthenticated("Token?"), "").headers()]

    assert names == [b"www-authenticate"]


def test_other_refusals_need_no_further_headers() -> None:
    assert render(MethodRefused("Use POST."), "").headers() == []
    assert status_of("METHOD_NOT_ALLOWED") == 405

"""Code packages in a bucket, over HTTP to moto's S3."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from raylift.errors import (
    FailedPrecondition,
    InvalidInput,
    PermissionDenied,
    Unreachable,
)
from raylift.serve_runtime.packaging.s3 import Bucket, store
from raylift.serve_runtime.packaging.upload_cache import packed


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="code")
        yield client
        client.close()


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("x = 1\n")
    return folder


def _store(directory, bucket):
    package = packed(directory, location="serve.yaml:3", excludes=())
    return store(package, bucket)


def test_a_package_is_sent_once_and_named_by_its_content(cloud, app):
    uri, sent = _store(app, Bucket("s3://code/apps"))
    assert uri.startswith("s3://code/apps/raylift_")
    (kept,) = cloud.list_objects_v2(Bucket="code")["Contents"]
    assert f"s3://code/{kept['Key']}" == uri
    assert kept["Size"] == sent > 0
    assert _store(app, Bucket("s3://code/apps")) == (uri, 0)
    (app / "app.py").write_text("x = 2\n")
    other, _ = _store(app, Bucket("s3://code"))
    assert other.startswith("s3://code/raylift_")
    assert other.rpartition("/")[2] != uri.rpartition("/")[2]


def test_a_package_of_others_under_its_name_stays(cloud, app):
    uri, _ = _store(app, Bucket("s3://code"))
    key = uri.removeprefix("s3://code/")
    cloud.put_object(Bucket="code", Key=key, Body=b"theirs")
    assert _store(app, Bucket("s3://code")) == (uri, 0)
    assert cloud.get_object(Bucket="code", Key=key)["Body"].read() == b"theirs"


def test_a_bucket_that_is_not_there_is_told(cloud, app):
    with pytest.raises(FailedPrecondition, match="bucket 'none' does not exist"):
        _store(app, Bucket("s3://none"))


def test_a_bucket_that_does_not_answer_is_told(monkeypatch, app, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unreachable, match="cannot reach bucket 'code'"):
        _store(app, Bucket("s3://code"))


@pytest.mark.parametrize("url", ["minio:9000", "http://"])
def test_an_endpoint_that_is_none_is_told(monkeypatch, cloud, app, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(Unreachable, match="cannot reach bucket 'code': Invalid"):
        _store(app, Bucket("s3://code"))


def test_a_profile_that_is_not_there_is_told(cloud, app):
    bucket = Bucket("s3://code", profile="no-such-profile")
    with pytest.raises(PermissionDenied, match="no-such-profile"):
        _store(app, bucket)


def test_missing_credentials_are_told(monkeypatch, app, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PermissionDenied, match="no AWS credentials"):
        _store(app, Bucket("s3://code"))


def test_a_directory_that_must_not_be_shipped_is_refused_before_anything_is_sent(
    cloud, app
):
    (app / ".env").write_text("TOKEN=x\n")
    with pytest.raises(InvalidInput, match=r"\.env"):
        _store(app, Bucket("s3://code"))
    assert "Contents" not in cloud.list_objects_v2(Bucket="code")


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, app, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        PermissionDenied, match=r"raylift: cannot be written: not a directory"
    ):
        _store(app, Bucket("s3://code"))

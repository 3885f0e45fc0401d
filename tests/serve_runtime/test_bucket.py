"""Code packages in a bucket, by the wire: moto answers as S3 does."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from raylift.errors import CannotWork, Denied, InputFailed, Unreachable
from serve_runtime.packing.bucket import store


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


def test_a_package_is_sent_once_and_named_by_its_content(cloud, app):
    uri, sent = store(app, bucket="s3://code/apps", place="serve.yaml:1")
    assert uri.startswith("s3://code/apps/raylift_")
    (kept,) = cloud.list_objects_v2(Bucket="code")["Contents"]
    assert f"s3://code/{kept['Key']}" == uri
    assert kept["Size"] == sent > 0
    assert store(app, bucket="s3://code/apps", place="") == (uri, 0)
    (app / "app.py").write_text("x = 2\n")
    other, _ = store(app, bucket="s3://code", place="")
    assert other.startswith("s3://code/raylift_")
    assert other.rpartition("/")[2] != uri.rpartition("/")[2]


def test_a_package_of_others_under_its_name_stays(cloud, app):
    uri, _ = store(app, bucket="s3://code", place="")
    key = uri.removeprefix("s3://code/")
    cloud.put_object(Bucket="code", Key=key, Body=b"theirs")
    assert store(app, bucket="s3://code", place="") == (uri, 0)
    assert cloud.get_object(Bucket="code", Key=key)["Body"].read() == b"theirs"


def test_a_bucket_that_is_not_there_is_told(cloud, app):
    with pytest.raises(CannotWork, match="bucket 'none' does not exist"):
        store(app, bucket="s3://none", place="")


def test_a_bucket_that_does_not_answer_is_told(monkeypatch, app, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unreachable, match="bucket 'code' does not answer"):
        store(app, bucket="s3://code", place="")


@pytest.mark.parametrize("url", ["minio:9000", "http://"])
def test_an_endpoint_that_is_none_is_told(monkeypatch, cloud, app, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(Unreachable, match="bucket 'code' does not answer: Invalid"):
        store(app, bucket="s3://code", place="")


def test_a_profile_that_is_not_there_is_told(cloud, app):
    with pytest.raises(Denied, match="nobody"):
        store(app, bucket="s3://code", place="", profile="nobody")


def test_missing_credentials_are_told(monkeypatch, app, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Denied, match="no AWS credentials"):
        store(app, bucket="s3://code", place="")


def test_a_directory_that_must_not_be_shipped_is_refused_before_anything_is_sent(
    cloud, app
):
    (app / ".env").write_text("TOKEN=x\n")
    with pytest.raises(InputFailed, match=r"\.env"):
        store(app, bucket="s3://code", place="serve.yaml:3")
    assert "Contents" not in cloud.list_objects_v2(Bucket="code")


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, app, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Denied, match=r"raylift: cannot be written: not a directory"):
        store(app, bucket="s3://code", place="")

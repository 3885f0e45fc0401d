"""A script that uploads `app/` to a bucket as a zip file and prints its URI.

The file name contains the hash of the content. The same code always gets the same name,
so deploying it again replaces no replicas. Any change to the code changes the name: Ray
would not notice new content under an old name.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import boto3


def pack(folder: Path) -> bytes:
    """Return a reproducible zip of the Python files in a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for file in sorted(folder.rglob("*.py")):
            # A ZipInfo that is created from a name has a fixed date.
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            package.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def main(bucket: str) -> None:
    """Upload the package and print its URI."""
    package = pack(Path(__file__).parent / "app")
    key = f"production-{hashlib.sha256(package).hexdigest()[:16]}.zip"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=package)
    sys.stdout.write(f"s3://{bucket}/{key}\n")


if __name__ == "__main__":
    main(sys.argv[1])

"""Builds a wheel of plain Python: a build backend with nothing to install (PEP 517, PEP 427).

The version is what the file VERSION says; name and dependencies stand in `pyproject.toml`."""

import base64
import hashlib
import pathlib
import tomllib
import zipfile

HERE = pathlib.Path(__file__).parent


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Writes the wheel into a folder and returns its name."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    name = project["name"]
    version = (HERE / "VERSION").read_text().strip()
    info = f"{name}-{version}.dist-info"
    sources = sorted((HERE / name).glob("*.py"))
    files = {f"{name}/{path.name}": path.read_bytes() for path in sources}
    files[f"{name}/VERSION"] = f"{version}\n".encode()
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {wanted}" for wanted in project.get("dependencies", [])]
    files[f"{info}/METADATA"] = "".join(f"{line}\n" for line in metadata).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: plain_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel_name = f"{name}-{version}-py3-none-any.whl"
    target = pathlib.Path(wheel_directory) / wheel_name
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            # The same bytes, whenever it is built.
            wheel.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    return wheel_name


def _digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

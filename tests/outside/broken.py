"""Files broken in every way that is known to hurt, drawn by a seed: bytes, JSON, archives, tensors, tables, YAML."""

import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

HOSTILE = (
    None, True, False, -1, 0, 1, 1.5, 10**9, -(10**9), 10**30, 1e308, "", "x", "x" * 100_000, "../../../x",
    "/dev/zero", "a\nb", "a\0b", "$(touch pwned)", "`id`", "subprocess.check_output", "torchvision://resnet50", "real",
    "\u202e", "é", [], {}, [[]], [0] * 1000, ["x"] * 1000, {"type": "os.system", "command": "id"},
    {str(i): i for i in range(500)},
)  # fmt: skip
RAW = ("NaN", "Infinity", "-Infinity", "[" * 100_000, "1" * 10_000, '"\\ud800"', "tru", "{")  # no JSON value has them


def bytes_broken(content: bytes, host: random.Random) -> bytes:
    """Anything, broken without a thought for what it is."""
    place = host.randrange(max(1, len(content)))
    length = host.choice((1, 4, 64, 1000))
    junk = host.randbytes(length)
    return (
        host.choice(
            (
                lambda: b"",
                lambda: content[:place],
                lambda: content[place:],
                lambda: content[:place] + junk + content[place + length :],
                lambda: content[:place] + bytes([content[place] ^ (1 << host.randrange(8))]) + content[place + 1 :],
                lambda: content[:place] + bytes(length) + content[place + length :],
                lambda: content[:place] + b"\xff" * length + content[place + length :],
                lambda: content + junk,
                lambda: content + content,
                lambda: junk * 100,
                lambda: b"\xff\xfe" + content,
                lambda: content.replace(b"\n", b"\r\n", 3),
            )
        )()
        if content
        else junk
    )


def json_broken(value: object, host: random.Random) -> str:
    """The text of a JSON value with one thing, or a few, that should not be."""
    value = json.loads(json.dumps(value))
    for _ in range(host.choice((1, 1, 1, 3))):
        value = _changed(value, host)
    text = json.dumps(value, allow_nan=True)
    if host.random() < 0.2:  # what json.dumps would not write
        place = host.randrange(len(text) + 1)
        ends = [i for i, c in enumerate(text) if c in ",}]"] or [place]
        end = host.choice(ends)
        start = max(text.rfind(c, 0, end) for c in ":,[")
        text = text[: start + 1] + host.choice(RAW) + text[end:]
    if host.random() < 0.05 and isinstance(value, dict) and value:
        key = host.choice(list(value))
        text = text[:-1] + f", {json.dumps(key)}: 1}}"
    return text


def _changed(value: object, host: random.Random) -> object:
    """One place of a value, at any depth, replaced, removed or doubled."""
    if isinstance(value, dict) and value and host.random() < 0.9:
        key = host.choice(list(value))
        kind = host.random()
        if kind < 0.15:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.2:
            return {**value, str(host.choice(HOSTILE))[:500]: host.choice(HOSTILE)}
        return {**value, key: _changed(value[key], host)}
    if isinstance(value, list) and value and host.random() < 0.7:
        place = host.randrange(len(value))
        if host.random() < 0.15:
            return value[:place] + value[place + 1 :]
        if host.random() < 0.1:
            return value * 50
        return value[:place] + [_changed(value[place], host)] + value[place + 1 :]
    return host.choice(HOSTILE)


def text_json_broken(content: bytes, host: random.Random) -> bytes:
    if host.random() < 0.3:
        return bytes_broken(content, host)
    return json_broken(json.loads(content), host).encode("utf-8", "surrogatepass")


def archive_broken(content: bytes, host: random.Random) -> bytes:
    """A stack: its index, its stack.json, its names, its PNGs."""
    if host.random() < 0.3:
        return bytes_broken(content, host)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = host.randrange(len(members))
    method = zipfile.ZIP_STORED
    kind = host.randrange(8)
    if kind < 3:
        at = next(i for i, (name, _) in enumerate(members) if name == "stack.json")
        members[at] = ("stack.json", json_broken(json.loads(members[at][1]), host).encode("utf-8", "surrogatepass"))
    elif kind == 3:
        name = host.choice(("../x.png", "/x.png", "a//b.png", "x" * 70_000, "", "stack.json", "a\nb.png", ".x.png"))
        members[place] = (name, members[place][1])
    elif kind == 4:
        members[place] = (members[place][0], png_broken(members[place][1], host))
    elif kind == 5:
        members.append(members[place])
    elif kind == 6:
        method = zipfile.ZIP_DEFLATED
        members = [(n, b"[" + b"1," * 30_000_000 + b"1]" if n == "stack.json" else c) for n, c in members]
    else:
        del members[place]
    return _zipped(members, method)


def _zipped(members: list[tuple[str, bytes]], method: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
            info.filename, info.compress_type = name[:65_000], method
            archive.writestr(info, content)
    return made.getvalue()


def png_broken(content: bytes, host: random.Random) -> bytes:
    if content[:4] != b"\x89PNG" or host.random() < 0.5:
        return bytes_broken(content, host)
    width, height = host.choice(((10**9, 10**9), (2**31 - 1, 1), (0, 0), (1, 2**31 - 1), (20_000, 20_000)))
    return content[:16] + struct.pack(">II", width, height) + content[24:]


def tensors_broken(content: bytes, host: random.Random) -> bytes:
    """A safetensors file: the header, our metadata in it, where the tensors are."""
    if host.random() < 0.25:
        return bytes_broken(content, host)
    length = struct.unpack("<Q", content[:8])[0]
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = header.get("__metadata__", {})
    if about and host.random() < 0.7:
        (key,) = about
        changed = json_broken(json.loads(about[key]), host)
        text = json.dumps({**header, "__metadata__": {key: changed}})
    else:
        text = json_broken(header, host)
    packed = text.encode("utf-8", "surrogatepass")
    said = host.choice((len(packed),) * 8 + (2**63, len(packed) + 10**9))
    return struct.pack("<Q", said) + packed + rest


def table_broken(content: bytes, host: random.Random) -> bytes:
    """A CSV."""
    if host.random() < 0.3:
        return bytes_broken(content, host)
    rows = [line.split(",") for line in content.decode().splitlines()]
    row = host.randrange(len(rows))
    place = host.randrange(len(rows[row]))
    cells = ("x" * 200_000, '"', '"a\nb"', "\0", "=1+1", "nan", "1e999", "../x", "", "a,b,c,d", "é\u202e", "-1")
    rows[row][place] = host.choice(cells)
    if host.random() < 0.2:
        rows[row] = rows[row] * 3
    return "\n".join(",".join(cells) for cells in rows).encode()


def yaml_broken(content: bytes, host: random.Random) -> bytes:
    if host.random() < 0.2:
        return bytes_broken(content, host)
    bombs = (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a {b: *a}\n",
        "a: &a [*a]\n",
        "[" * 20_000,
        "{a: " * 5_000,
        "? [a, b]\n: c\n",
        "!!python/object/apply:os.system ['id']\n",
        "a: 2026-13-45\n",
        "a: !!binary x\n",
        "a: .nan\n",
        "<<: *x\n",
        "<<: [1, 2]\n",
        "a: 1\na: 2\n",
        "\t- a\n",
        "a: 0x" + "f" * 5_000 + "\n",
        "a: 1:2:3:4.5e999\n",
    )
    lines = content.decode().splitlines()
    if host.random() < 0.3:
        return (host.choice(bombs) + content.decode()).encode()
    row = host.randrange(len(lines))
    key, colon, _ = lines[row].partition(":")
    values = (".nan", ".inf", "-1", "null", "[]", "{}", "1e400", "yes", "*x", "&a [*a]", "1" * 5000)
    lines[row] = f"{key}{colon} {host.choice(values)}"
    return "\n".join(lines).encode()


BREAKERS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": text_json_broken,
    "archive": archive_broken,
    "tensors": tensors_broken,
    "table": table_broken,
    "yaml": yaml_broken,
    "png": png_broken,
    "bytes": bytes_broken,
}


def put_no_file(path: Path, kind: str) -> None:
    """In the place of a file: what is none."""
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        assert kind == "missing"


NO_FILES = ("missing", "folder", "pipe", "device", "loop")

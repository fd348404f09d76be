"""Without what torch.compile needs nothing is compiled, and one line says so."""

import pytest

from understudy.run.compiling import can_compile


@pytest.fixture(autouse=True)
def asked_anew():
    can_compile.cache_clear()
    yield
    can_compile.cache_clear()


def test_without_a_compiler_it_says_so_once(monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not can_compile() and not can_compile()
    assert capsys.readouterr().out.count("not compiled, so slower: torch.compile needs a C compiler") == 1


def test_without_pythons_header_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert not can_compile() and "Python's header" in capsys.readouterr().out

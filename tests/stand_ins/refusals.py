"""What every command must do when it cannot do what is asked: one line, and nothing else."""

from click.testing import Result


def assert_one_line(result: Result, *parts: object) -> None:
    """Exit status 2, nothing on standard output, and one line that holds the parts."""
    assert result.exit_code == 2, result.exception
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    for part in parts:
        assert str(part) in result.stderr

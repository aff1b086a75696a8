import pytest
import torch

from seqkit.errors import DataError
from seqkit.inputs.tokens.reading import chunk_of_tokens, read, read_text
from seqkit.inputs.tokens.tokenizers import Characters

ABC = Characters(("a", "b", "c"))


def test_a_text_or_the_content_of_a_file_is_read(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc")
    assert read(ABC, "cab").tolist() == [2, 0, 1]
    assert read(ABC, path).tolist() == read(ABC, str(path)).tolist() == [0, 1, 2]


def test_no_text_and_no_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="^'': no text to predict from$"):
        read(ABC, "")
    with pytest.raises(DataError, match=r"none\.txt"):
        read(ABC, "none.txt")


@pytest.mark.parametrize(("chunk", "ids"), [("ba", [1, 0]), ([2, 0], [2, 0]), (1, [1]), ("", []), ([], [])])
def test_a_chunk_is_text_or_ids(chunk, ids):
    found = chunk_of_tokens(ABC, chunk)
    assert found.tolist() == ids
    assert found.dtype == torch.int64


@pytest.mark.parametrize("chunk", [[3], [-1], [0.5], [True], [[0, 1]]])
def test_other_chunks_are_refused(chunk):
    with pytest.raises(DataError, match=r"^a chunk must be text, or token ids \(tokens,\) from 0 to 2; this one "):
        chunk_of_tokens(ABC, chunk)


def test_files_are_joined_at_line_ends(tmp_path):
    one, two = tmp_path / "1.txt", tmp_path / "2.txt"
    one.write_bytes(b"\xef\xbb\xbfa\r\nb")
    two.write_bytes(b"c\n")
    assert read_text([one, two]) == "a\nb\nc\n"
    assert read_text([one]) == "a\nb"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\xff", "not UTF-8 at byte 3 (line 2); save it as UTF-8"),
        (b"", "is empty. Expected UTF-8 text"),
        (b"a\nb\0", "a NUL at byte 3 (line 2), so it is no UTF-8 text but UTF-16 or a binary file"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_text([path])
    assert str(refusal.value) == f"{path}: {message}"

"""What is kept of files is limited by its bytes, however large one is."""

from collection_app.participants.recently_read import RecentlyRead


def test_what_was_used_longest_ago_goes_when_there_is_no_more_room() -> None:
    kept: RecentlyRead[int, str] = RecentlyRead(100)
    for key in range(3):
        kept.put(key, str(key), 30)
    assert kept.get(0) == "0"
    kept.put(3, "3", 30)
    assert [kept.get(key) for key in range(4)] == ["0", None, "2", "3"]


def test_what_is_larger_than_all_the_room_is_not_kept() -> None:
    kept: RecentlyRead[int, str] = RecentlyRead(100)
    kept.put(1, "a", 40)
    kept.put(2, "b", 101)
    assert kept.get(2) is None
    kept.put(3, "c", 100)
    assert kept.get(3) == "c"


def test_another_value_under_the_same_key_takes_the_place_of_the_first() -> None:
    kept: RecentlyRead[int, str] = RecentlyRead(100)
    for _ in range(5):
        kept.put(1, "a", 60)
    kept.put(2, "b", 40)
    assert (kept.get(1), kept.get(2)) == ("a", "b")

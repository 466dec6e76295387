"""Which front ends a command is for."""

import front_ends


def test_the_front_ends_that_words_begin_with_are_chosen_and_the_others_left():
    assert front_ends.chosen([]) == (["pinned", "1.39.19", "newest"], [])
    words = ["newest", "1.50.2", "tests/browser/test_editor.py", "-k", "pinned"]
    assert front_ends.chosen(words) == (["newest", "1.50.2"], words[2:])

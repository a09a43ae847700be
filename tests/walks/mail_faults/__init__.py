import pytest

# So that its assertions show what they compared, like those in a test.
pytest.register_assert_rewrite("tests.walks.mail_faults.mailing")

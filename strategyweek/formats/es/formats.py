"""Dates and times in Spanish, in the US.

Spanish writes 16/10, but the same page in English has 10/16. So an organizer sees and types
2021-10-16, which has one meaning.
"""

DATE_INPUT_FORMATS = ["%Y-%m-%d"]
TIME_INPUT_FORMATS = ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p", "%I %p", "%I%p"]
# Sunday, as in English
FIRST_DAY_OF_WEEK = 0

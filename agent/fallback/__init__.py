"""Several engines that stand in for one another, each behind the framework's own interface.

The framework has adapters for this. They switch on exceptions alone, so that an engine which takes
everything and answers nothing is waited for; they drop the audio that the failed recogniser had,
the rest of a line whose voice broke off, and an answer of which some words are out. Hence these.
"""

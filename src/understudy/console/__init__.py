"""The command `understudy`, and what it shares with the scripts of the rules."""

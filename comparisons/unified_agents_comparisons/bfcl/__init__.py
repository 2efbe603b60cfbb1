"""The Berkeley Function Calling Leaderboard's single-turn entries as a suite."""

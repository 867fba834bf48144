"""The predictor judged on recorded sessions: what it would have foreseen, had it seen what was there."""

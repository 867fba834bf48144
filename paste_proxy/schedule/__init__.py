"""The joint queue: one order for LLM turns and tool runs (DESIGN section 8)."""

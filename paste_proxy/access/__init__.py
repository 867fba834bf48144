"""Who asks, and what of: API keys, tenants, rate limits, on both planes."""

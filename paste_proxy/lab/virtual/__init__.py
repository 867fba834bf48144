"""The production core in virtual time: engines and tools are models, agents are scripts."""

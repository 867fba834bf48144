"""smolagents' ToolCallingAgent, streamed: it asks for a tool in every step, the final answer being one. It
writes calls and results into its history as text."""

from common import CALL_TOKENS, MODEL, QUESTION, base_url, call, report, run_tool
from smolagents import OpenAIServerModel, Tool, ToolCallingAgent


class Weather(Tool):
    name = "get_weather"
    description = "The weather in a city."
    inputs = {"city": {"type": "string", "description": "Which.", "enum": ["London", "Paris"]}}
    output_type = "string"

    def forward(self, city: str) -> str:
        return run_tool(self.name, {"city": city})


class FinalAnswer(Tool):
    """In place of its own, whose free text a model with random weights would never end."""

    name = "final_answer"
    description = "Ends the task."
    inputs = {"answer": {"type": "string", "description": "Which.", "enum": ["rain", "sun"]}}
    output_type = "string"

    def forward(self, answer: str) -> str:
        return answer


model = OpenAIServerModel(
    MODEL,
    api_base=f"{base_url()}/v1",
    api_key="unused",
    max_tokens=CALL_TOKENS,
    parallel_tool_calls=False,  # or it takes a final answer for an error, and a random model hardly ever ends
    client_kwargs={"max_retries": 0},
)
agent = ToolCallingAgent(
    tools=[Weather(), FinalAnswer()], model=model, max_steps=30, stream_outputs=True, verbosity_level=0
)
agent.run(QUESTION)
agent.run("Once more.", reset=False)
steps = [step for step in agent.memory.steps if getattr(step, "model_output_message", None) is not None]
said = [one for step in steps for one in step.model_output_message.tool_calls or ()]
report([call(one.id, one.function.name, one.function.arguments) for one in said], len(steps))

"""What real engines answered, cut to what is read: SGLang 0.5.23 and vLLM 0.32 with a tiny model on a CPU."""

from typing import Any

SGLANG_INFO: dict[str, Any] = {
    "model_path": "/models/tiny",
    "served_model_name": "tiny",
    "max_running_requests": 4,
    "max_queued_requests": None,
    "max_total_tokens": 65536,
    "schedule_policy": "fcfs",
    "enable_priority_scheduling": True,
    "disable_priority_preemption": False,
    "default_priority_value": 0,
    "abort_on_priority_when_disabled": False,
    "schedule_low_priority_values_first": False,
    "priority_scheduling_preemption_threshold": 10,
    "dp_size": 1,
    "enable_cache_report": True,
    "enable_session_radix_cache": True,
    "max_total_num_tokens": 65536,
    "version": "0.5.23",
}
"""`/server_info` of an engine with `--enable-priority-scheduling --default-priority-value=0
--enable-session-radix-cache`; of 700 keys."""

SGLANG_PLAIN_INFO = SGLANG_INFO | {
    "enable_priority_scheduling": False,
    "default_priority_value": None,
    "enable_session_radix_cache": False,
}

SGLANG_LOADS: dict[str, Any] = {
    "timestamp": "2026-11-27T00:45:35.705989+00:00",
    "version": "0.5.23",
    "accelerator": None,
    "num_accelerators": 1,
    "loads": [
        {
            "timestamp": 1795740335.6542637,
            "dp_rank": 0,
            "num_running_reqs": 3,
            "num_waiting_reqs": 2,
            "num_waiting_uncached_tokens": 40,
            "num_used_tokens": 1200,
            "num_total_tokens": 1240,
            "num_active_tokens": 1240,
            "num_prealloc_ready_tokens": 0,
            "max_total_num_tokens": 65536,
            "max_running_requests": 4,
            "token_usage": 0.0183,
            "gen_throughput": 71.5,
            "cache_hit_rate": 0.0,
            "utilization": 0.0,
            "total_prefill_uncached_tokens": 812,
            "total_prefill_busy_us": 90210,
            "decode_moments": None,
        }
    ],
}
"""`/v1/loads?include=core`."""

SGLANG_OLD_LOAD: list[dict[str, Any]] = [
    {"dp_rank": 0, "num_reqs": 5, "num_waiting_reqs": 2, "num_tokens": 1200},
]
"""`/get_load` of SGLang 0.5.0, as documented."""

_LABELS = 'engine_type="unified",model_name="tiny",moe_ep_rank="0",pp_rank="0",priority="",tp_rank="0"'
SGLANG_METRICS = f"""\
# HELP sglang:num_running_reqs The number of running requests.
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{{{_LABELS}}} 3.0
sglang:num_running_reqs{{{_LABELS.replace('priority=""', 'priority="4"')}}} 1.0
# HELP sglang:num_queue_reqs The number of requests in the waiting queue.
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{{{_LABELS}}} 2.0
# HELP sglang:num_used_tokens The number of used tokens.
# TYPE sglang:num_used_tokens gauge
sglang:num_used_tokens{{{_LABELS}}} 1200.0
# HELP sglang:max_total_num_tokens Maximum total number of tokens in the KV cache pool.
# TYPE sglang:max_total_num_tokens gauge
sglang:max_total_num_tokens{{{_LABELS}}} 65536.0
sglang:e2e_request_latency_seconds_bucket{{le="0.1",model_name="tiny"}} 7.0
"""

VLLM_INFO: dict[str, Any] = {
    "vllm_config": {
        "model_config": {"model": "/models/tiny"},
        "cache_config": {"num_gpu_blocks": 8192, "block_size": 128, "enable_prefix_caching": True},
        "scheduler_config": {"max_num_seqs": 4, "policy": "priority", "enable_chunked_prefill": True},
    },
    "vllm_env": {"VLLM_SERVER_DEV_MODE": True},
    "system_env": {},
}
"""`/server_info?config_format=json` in development mode, with `--scheduling-policy priority`."""

VLLM_INFO_TEXT = {"vllm_config": "model='/models/tiny', speculative_config=None", "vllm_env": {}}
"""Without `config_format`."""

VLLM_METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 2.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0
# HELP vllm:num_requests_waiting_by_reason Number of waiting requests by reason.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 1.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="128",cache_dtype="auto",engine="0",num_gpu_blocks="8192"} 1.0
"""
"""`/metrics`; of 500 lines."""

VLLM_MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model", "owned_by": "vllm"}]}

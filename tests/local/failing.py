"""Applications that fail in Ray, each with the line that explains it.

The first line of each module imports what `HEAD` defines, in the module `head`.
"""

# ruff: noqa: E501 a case is a line

HEAD = """
import asyncio, json, os, signal, subprocess, sys, threading, urllib.request
import pydantic
from fastapi import FastAPI
from ray import serve

def deployment(target, **options):
    few = {"max_constructor_retry_count": 1, "ray_actor_options": {"num_cpus": 0}}
    return serve.deployment(target, **few | options)

class Config(pydantic.BaseModel):
    limit: int
    words: list[str] = []

class NoLicense(Exception):
    pass
"""


def _starting(statement: str) -> str:
    """Return an application whose constructor executes a statement, in line 4."""
    return (
        "class Model:\n"
        "    def __init__(self):\n"
        f"        {statement}\n"
        "    def __call__(self, request): return 'ok'\n"
        "app = deployment(Model).bind()\n"
    )


def _configured(statement: str) -> str:
    return (
        "class Model:\n"
        "    def reconfigure(self, config):\n"
        f"        {statement}\n"
        "    def __call__(self, request): return 'ok'\n"
        "app = deployment(Model, user_config={'limit': 'x'}).bind()\n"
    )


def _needing(**options: object) -> str:
    return (
        "class Model:\n"
        "    def __call__(self, request): return 'ok'\n"
        f"app = deployment(Model, ray_actor_options={options}).bind()\n"
    )


IN_IMPORT = {
    "syntax": ("def f(:\n", "SyntaxError: invalid syntax ({file}:2)"),
    "module": ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module' ({file}:2)"),
    "name": ("from os import no_such_name\n", "ImportError: cannot import name 'no_such_name' from 'os'"),
    "no_app": ("application = 1\n", "has no attribute 'app'"),
    "not_an_app": ("app = 3\n", "application builder function but got: <class 'int'>"),
    "not_bound": ("class Model: pass\napp = deployment(Model)\n", "got: <class 'ray.serve.deployment.Deployment'>"),
    "variable": ("PATH = os.environ['MODEL_PATH_X']\n", "KeyError: 'MODEL_PATH_X' ({file}:2)"),
    "file": ("WEIGHTS = open('weights.bin')\n", "FileNotFoundError: [Errno 2] No such file or directory: 'weights.bin' ({file}:2)"),
    "division": ("\nX = 1 / 0\n", "ZeroDivisionError: division by zero ({file}:3)"),
    "own_exception": ("raise NoLicense('expired')\n", "head.NoLicense: expired ({file}:2)"),
    "chain": ("try:\n    {}['a']\nexcept KeyError as e:\n    raise RuntimeError('no key a') from e\n", "RuntimeError: no key a ({file}:5)"),
    "json": ("json.loads('{')\n", "JSONDecodeError: Expecting property name enclosed in double quotes"),
    "pydantic": ("Config.model_validate({})\n", "ValidationError: Config.limit: Field required ({file}:2)"),
    "assertion": ("assert os.getpid() < 0\n", "AssertionError ({file}:2)"),
    "undefined": ("print(undefined_name)\n", "NameError: name 'undefined_name' is not defined"),
    "recursion": ("def f(): return f()\nf()\n", "RecursionError: maximum recursion depth exceeded"),
    "subprocess": ("subprocess.run(['false'], check=True)\n", "CalledProcessError: Command '['false']' returned non-zero exit status 1. ({file}:2)"),
    "refused": ("urllib.request.urlopen('http://127.0.0.1:1/')\n", "URLError: <urlopen error [Errno 111] Connection refused> ({file}:2)"),
    "builder": ("def app(args): return args['words']\n", "KeyError: 'words' ({file}:2)"),
    "typed_builder": ("def app(args: Config): return args\n", "ValidationError: Config.limit: Field required"),
    "builder_result": ("def app(args): return 3\n", "but got: <class 'int'>"),
    "option": ("class Model: pass\napp = deployment(Model, num_replicas=-1).bind()\n", "DeploymentConfig.num_replicas: Input should be greater than or equal to 0"),
    "scaling": ("class Model: pass\napp = deployment(Model, autoscaling_config={'min_replicas': 3, 'max_replicas': 1}).bind()\n", "max_replicas (1) must be greater than or equal to min_replicas (3)"),
    "batch": ("@serve.batch\ndef f(self, x): return x\n", "Functions decorated with @serve.batch must be 'async def'"),
    "fastapi": ("api = FastAPI()\n@api.get('/')\ndef f() -> threading.Lock: return None\n", "FastAPIError: Invalid args for response field"),
    "pickle": ("class Model:\n    def __init__(self, lock): pass\napp = deployment(Model).bind(threading.Lock())\n", "TypeError: cannot pickle '_thread.lock' object ({file}:4)"),
}  # fmt: skip
IN_REPLICA = {
    "value": (_starting("raise ValueError('no such model: x')"), "Model: ValueError: no such model: x ({file}:4)"),
    "weights": (_starting("open('/models/weights.bin')"), "Model: FileNotFoundError: [Errno 2] No such file or directory: '/models/weights.bin' ({file}:4)"),
    "library": (_starting("import no_such_library"), "Model: ModuleNotFoundError: No module named 'no_such_library' ({file}:4)"),
    "config": (_starting("Config(limit='many')"), "Model: ValidationError: Config.limit: Input should be a valid integer"),
    "two_fields": (_starting("Config(limit='many', words=3)"), "(and 1 more) ({file}:4)"),
    "exit": (_starting("os._exit(1)"), "its process died while starting"),
    "killed": (_starting("os.kill(os.getpid(), signal.SIGKILL)"), "its process died while starting"),
    "sys_exit": (_starting("sys.exit('no license')"), "Model: its process died while starting"),
    "encoding": (_starting(r"b'\xff'.decode()"), "Model: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff"),
    "no_text": (_starting("raise TimeoutError"), "Model: TimeoutError"),
    "group": (_starting("raise ExceptionGroup('all', [ValueError('first')])"), "Model: ValueError: first ({file}:4)"),
    "async": (_starting("asyncio.run(asyncio.sleep(0))"), "Model: RuntimeError: asyncio.run() cannot be called from a running event loop ({file}:4)"),
    "unhashable": (_starting("{[]: 1}"), "Model: TypeError: unhashable type: 'list' ({file}:4)"),
    "arguments": ("class Model:\n    def __init__(self, size): pass\n    def __call__(self, r): pass\napp = deployment(Model).bind()\n", "missing 1 required positional argument: 'size'"),
    "child": (_starting("raise NoLicense('expired')").replace("app =", "child =") + "class Front:\n    def __init__(self, child): pass\n    def __call__(self, r): pass\napp = deployment(Front).bind(child)\n", "Model: head.NoLicense: expired ({file}:4)"),
    "reconfigure": (_configured("config['size']"), "Model: KeyError: 'size' ({file}:4)"),
    "reconfigure_type": (_configured("Config(**config)"), "Model: ValidationError: Config.limit: Input should be a valid integer"),
    "no_reconfigure": ("class Model:\n    def __call__(self, r): pass\napp = deployment(Model, user_config={'a': 1}).bind()\n", "missing reconfigure method"),
    "health": (_starting("pass") .replace("app = deployment(Model)", "    def check_health(self): raise RuntimeError('no answer from the database')\napp = deployment(Model, health_check_period_s=0.5, health_check_timeout_s=1)"), "no answer from the database"),
    "gpu": (_needing(num_gpus=1), "Model: no node can hold a replica: needs 1 GPU, but the largest node has 0"),
    "resource": (_needing(resources={"tpu": 4}), "Model: no node can hold a replica: needs 4 tpu, but the largest node has 0"),
    "memory": (_needing(memory=10**13), "Model: no node can hold a replica: needs 1e+13 memory"),
    "cpus": (_needing(num_cpus=64), "Model: no node can hold a replica: needs 64 CPU, but the largest node has 4"),
}  # fmt: skip

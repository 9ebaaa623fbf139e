"""The time of one image: networks and runtimes side by side.

1. `networks`: the models that were asked for.
2. `cases`: each model in each runtime, as a file that the runtime opens.
3. `runtimes`: opens a case; `measure` times all cases in turns, each in a process of its own.
4. `report` and `chart`: the result as JSON and as a picture.
"""

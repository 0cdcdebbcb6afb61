"""From a plan to its report: actions as data, the executor, how each action is done, how awaited machines are judged."""

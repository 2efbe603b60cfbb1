"""`python -m unified_agents`: the command line, for a Python that has no script `unified-agents` on its path."""

from unified_agents.cli.main import main

if __name__ == "__main__":
    main()

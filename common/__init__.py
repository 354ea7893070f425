"""What every package needs: how a command parses and ends, how files that matter are written.

Imports nothing else of the project and never MindSpore, so that every command starts quickly.
"""

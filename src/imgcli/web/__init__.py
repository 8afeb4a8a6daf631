"""The HTTP side of `serve`: routes, who may use them, and the page; on Starlette and uvicorn."""

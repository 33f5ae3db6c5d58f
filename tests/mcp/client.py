"""Lists and calls tools with the official client. Arguments: calls as JSON, then the server's command."""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    calls, command, *arguments = json.loads(sys.argv[1]), *sys.argv[2:]
    server = StdioServerParameters(command=command, args=arguments)
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = await session.list_tools()
        resources = await session.list_resources()
        schema = await session.read_resource("creatormirror://schema")
        results = []
        for name, values in calls:
            # The client checks the structured content against the tool's output schema.
            result = await session.call_tool(name, values)
            results.append({"is_error": result.is_error, "structured": result.structured_content})
    print(json.dumps({
        "tools": [tool.name for tool in tools.tools],
        "resources": len(resources.resources),
        "schema": schema.contents[0].text,
        "results": results,
    }))


asyncio.run(main())

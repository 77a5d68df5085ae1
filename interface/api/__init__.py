"""The same for programs: named endpoints, which are MCP tools as well."""

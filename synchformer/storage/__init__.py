"""Files on disk: written whole or not at all, tables that survive an interruption, reading ahead."""

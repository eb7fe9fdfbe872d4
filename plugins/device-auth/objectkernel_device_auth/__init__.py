"""Keys without copy and paste: API keys by the OAuth device flow (RFC 8628), for those who ask and those who issue."""

endpoints = [
    {
        'url': 'http://example-ocf-endpoint.com',
        'type': 'ocf',  # OCF format API
        'api_key': 'your-api-key'
    },
    {
        'url': 'https://example-openai-endpoint.com',
        'type': 'openai',  # Standard OpenAI API
        'api_key': 'your-api-key'
    }
]

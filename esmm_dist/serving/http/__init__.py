"""HTTP: the application, its forms of requests and answers, access, and what it refuses."""

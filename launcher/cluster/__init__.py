"""Jobs on Kubernetes: from the job file to what runs inside the pods. Nothing outside of it knows of Kubernetes."""

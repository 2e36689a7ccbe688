"""What the doctor knows, by subject: each rule reads a run's log and names one thing that goes wrong."""

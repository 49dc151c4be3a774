"""One file for each theme; every act is an async function of the stage."""

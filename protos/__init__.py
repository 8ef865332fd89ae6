"""The gRPC contracts, one .proto a service; generated code lies in `protos/gen` and nowhere else."""

"""The Tinker wire format: protobuf and JSON on one side, arrays and typed requests on the other."""

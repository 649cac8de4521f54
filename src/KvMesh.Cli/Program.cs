using KvMesh.Cli;
using KvMesh.Cli.Output;

using var signals = new StopSignals(Console.Error);
return await KvMeshCommand.RunAsync(args, Terminal.OfProcess(), signals.Token);

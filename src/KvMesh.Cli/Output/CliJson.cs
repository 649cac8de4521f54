using System.Text.Json;
using System.Text.Json.Serialization;
using KvMesh.Cli.Bench;
using KvMesh.Cli.Commands;
using KvMesh.Cli.Demo;
using KvMesh.Cli.Workload;
using KvMesh.Simulation.Retention;

namespace KvMesh.Cli.Output;

/// <summary>How results are written with <c>--json</c>: camelCase names, one object.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WorkloadReport))]
[JsonSerializable(typeof(DemoReport))]
[JsonSerializable(typeof(BenchReport))]
[JsonSerializable(typeof(ServeReport))]
[JsonSerializable(typeof(UpReport))]
[JsonSerializable(typeof(ValueReport))]
[JsonSerializable(typeof(RemoveReport))]
[JsonSerializable(typeof(SimulationReport))]
[JsonSerializable(typeof(RetentionReport))]
[JsonSerializable(typeof(TierReport))]
[JsonSerializable(typeof(OrderActionReport))]
[JsonSerializable(typeof(AuditReport))]
[JsonSerializable(typeof(ConsoleReport))]
[JsonSerializable(typeof(ErrorReport))]
[JsonSerializable(typeof(ForgetReport))]
[JsonSerializable(typeof(TokenReport))]
[JsonSerializable(typeof(CodecsReport))]
[JsonSerializable(typeof(WorkerReport))]
internal sealed partial class CliJson : JsonSerializerContext;

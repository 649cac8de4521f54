using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Native;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;
using KvMesh.Server.Telemetry;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>What the parts of the mesh take from their node.</summary>
/// <param name="Layouts">What the bytes of blocks mean.</param>
/// <param name="Version">Of the program.</param>
/// <param name="Protocols">Versions of the native protocol that the node speaks.</param>
/// <param name="Metrics">Where their figures go.</param>
internal sealed record MeshContext(
    NodeOptions Options, BlockEngine Engine, LayoutBook Layouts, AccessControl Access, string Version, NativeVersions Protocols, NodeMetrics Metrics, TimeProvider Time, ILoggerFactory Loggers);

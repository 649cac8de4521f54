using System.Diagnostics.Metrics;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.Server.Options;
using Microsoft.Extensions.Logging;

namespace KvMesh.Server.Mesh;

/// <summary>What the parts of the mesh take from their node.</summary>
/// <param name="Version">Of the program.</param>
/// <param name="Meter">Where their figures go.</param>
internal sealed record MeshContext(
    NodeOptions Options, BlockEngine Engine, AccessControl Access, string Version, Meter Meter, TimeProvider Time, ILoggerFactory Loggers);

using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvMesh.Worker.Roles;

/// <summary>Asks a prefill worker for the full blocks before the last of these tokens.</summary>
/// <param name="Tokens">The prompt as far as blocks are wanted, and one token more.</param>
/// <param name="LayoutHash">Of the blocks that the asking worker computes with, hexadecimal.</param>
/// <param name="Model">Name of the model in keys.</param>
/// <param name="Revision">Revision of its weights in keys.</param>
/// <param name="Parts">Canonical parts of a block.</param>
public sealed record PrefillRequest(int[] Tokens, string LayoutHash, string Model, string Revision, int Parts);

/// <summary>The first line of the answer: where the blocks will be, and how they come.</summary>
/// <param name="Node">Native door of the node where their sections are written.</param>
/// <param name="LastHash">Chain hash of the last block, hexadecimal.</param>
/// <param name="Blocks">Blocks from the first on that will be there.</param>
/// <param name="GroupBlocks">Blocks that one pass computes: layer after layer of all of them, then the next as many.</param>
public sealed record PrefillGrant(string Node, string LastHash, int Blocks, int GroupBlocks);

/// <summary>The second line: everything was computed, and published or dropped.</summary>
/// <param name="IsPublished">Whether nothing was dropped.</param>
public sealed record PrefillEnd(bool IsPublished);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(PrefillRequest))]
[JsonSerializable(typeof(PrefillGrant))]
[JsonSerializable(typeof(PrefillEnd))]
internal sealed partial class PrefillJson : JsonSerializerContext;

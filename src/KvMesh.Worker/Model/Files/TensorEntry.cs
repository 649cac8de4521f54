using System.Collections.Immutable;

namespace KvMesh.Worker.Model.Files;

/// <summary>One tensor of a safetensors file, as its header describes it.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Element">How its numbers are stored.</param>
/// <param name="Shape">Outermost dimension first; empty for a single number.</param>
/// <param name="Offset">Its first byte, counted from the end of the header.</param>
/// <param name="Bytes">Its length, which agrees with element and shape.</param>
public sealed record TensorEntry(string Name, TensorElement Element, ImmutableArray<long> Shape, long Offset, long Bytes)
{
    /// <summary>The shape as text, as <c>[4, 16]</c>.</summary>
    public string ShapeText => $"[{string.Join(", ", Shape)}]";
}

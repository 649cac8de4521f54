using System.Globalization;
using KvMesh.Codecs.Blocks;

namespace KvMesh.Server.Coding;

/// <summary>Kinds of codecs as operators read them.</summary>
internal static class CodecNames
{
    /// <summary>The kind in words, as <c>entropy-coded</c>; its number when this program does not know it.</summary>
    public static string Of(ushort codec) => Enum.IsDefined((CodecId)codec)
        ? string.Concat(((CodecId)codec).ToString().Select((letter, index) => char.IsUpper(letter) ? (index == 0 ? "" : "-") + char.ToLowerInvariant(letter) : letter.ToString()))
        : codec.ToString(CultureInfo.InvariantCulture);
}

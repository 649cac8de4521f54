using KvMesh.Codecs.Layouts;

namespace KvMesh.Codecs.Payloads;

/// <summary>Knows layouts by their hashes. Any thread.</summary>
public interface ILayoutSource
{
    /// <summary>The layout of that hash; null when it is not known.</summary>
    KvLayout? Find(ReadOnlySpan<byte> hash);
}

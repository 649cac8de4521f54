using System.Net.Http.Json;
using System.Text.Json.Serialization.Metadata;
using KvMesh.Protocol.Admin;

namespace KvMesh.Client.Admin;

/// <summary>Sequences over HTTP. A tenant of null is the caller's own.</summary>
public sealed partial class AdminClient
{
    /// <summary>One page of a tenant's sequences.</summary>
    /// <param name="after">Null for the first page, then <see cref="SequenceList.Next"/>.</param>
    public Task<SequenceList> ListSequencesAsync(string? tenant, string? after, int count, CancellationToken cancellationToken) =>
        GetAsync($"{AdminRoutes.Sequences}?count={count}{Query("after", after)}{Query("tenant", tenant)}", AdminJson.Default.SequenceList, cancellationToken);

    public Task<SequenceStatus> GetSequenceAsync(string? tenant, string name, CancellationToken cancellationToken) =>
        GetAsync($"{PathOf(name)}?{Query("tenant", tenant)}", AdminJson.Default.SequenceStatus, cancellationToken);

    /// <summary>One page of its segments.</summary>
    public Task<SegmentList> GetSegmentsAsync(string? tenant, string name, int first, int count, CancellationToken cancellationToken) =>
        GetAsync($"{PathOf(name)}/segments?first={first}&count={count}{Query("tenant", tenant)}", AdminJson.Default.SegmentList, cancellationToken);

    /// <summary>As <see cref="GetSegmentsAsync"/>, with the places that hold each of them. Needs the right admin.</summary>
    /// <param name="count">At most 128.</param>
    public Task<SegmentList> GetSegmentPlacesAsync(string? tenant, string name, int first, int count, CancellationToken cancellationToken) =>
        GetAsync($"{PathOf(name)}/segments?first={first}&count={count}&places=true{Query("tenant", tenant)}", AdminJson.Default.SegmentList, cancellationToken);

    public Task<SequenceStatus> OpenSequenceAsync(string? tenant, SequenceOpenRequest request, CancellationToken cancellationToken) =>
        PostAsync(AdminRoutes.Sequences, tenant, request, AdminJson.Default.SequenceOpenRequest, cancellationToken);

    public Task<SequenceStatus> AppendSegmentAsync(string? tenant, string name, SequenceAppendRequest request, CancellationToken cancellationToken) =>
        PostAsync(PathOf(name) + "/append", tenant, request, AdminJson.Default.SequenceAppendRequest, cancellationToken);

    public Task<SequenceStatus> ForkSequenceAsync(string? tenant, string name, SequenceForkRequest request, CancellationToken cancellationToken) =>
        PostAsync(PathOf(name) + "/fork", tenant, request, AdminJson.Default.SequenceForkRequest, cancellationToken);

    public Task<SequenceStatus> PinSequenceAsync(string? tenant, string name, SequencePinRequest request, CancellationToken cancellationToken) =>
        PostAsync(PathOf(name) + "/pin", tenant, request, AdminJson.Default.SequencePinRequest, cancellationToken);

    public Task<SequenceStatus> ParkSequenceAsync(string? tenant, string name, SequenceParkRequest request, CancellationToken cancellationToken) =>
        PostAsync(PathOf(name) + "/park", tenant, request, AdminJson.Default.SequenceParkRequest, cancellationToken);

    public Task<SequenceStatus> ResumeSequenceAsync(string? tenant, string name, SequenceResumeRequest request, CancellationToken cancellationToken) =>
        PostAsync(PathOf(name) + "/resume", tenant, request, AdminJson.Default.SequenceResumeRequest, cancellationToken);

    /// <param name="epoch">The owner's; null: an operator's close.</param>
    public async Task<SequenceStatus> CloseSequenceAsync(string? tenant, string name, long? epoch, CancellationToken cancellationToken)
    {
        var path = $"{PathOf(name)}?{Query("epoch", epoch?.ToString(System.Globalization.CultureInfo.InvariantCulture))}{Query("tenant", tenant)}";
        using var response = await _http.DeleteAsync(new Uri(path, UriKind.Relative), cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, AdminJson.Default.SequenceStatus, cancellationToken).ConfigureAwait(false);
    }

    private static string PathOf(string name) => $"{AdminRoutes.Sequences}/{Uri.EscapeDataString(name)}";

    private static string Query(string field, string? value) => value is null ? "" : $"&{field}={Uri.EscapeDataString(value)}";

    private async Task<SequenceStatus> PostAsync<T>(string path, string? tenant, T request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsJsonAsync(new Uri($"{path}?{Query("tenant", tenant)}", UriKind.Relative), request, type, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, AdminJson.Default.SequenceStatus, cancellationToken).ConfigureAwait(false);
    }
}
